@echo off
rem A double click starts Maple WebUI. Flags go into webui-user.bat.
call "%~dp0webui-user.bat" %*
